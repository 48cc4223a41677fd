;; Calls itself 5,000 times, which fits on the stack.
;; gives: 5000
(func $evil (result i32) (call $deep (i32.const 5000)))
(func $deep (param i32) (result i32)
  (if (result i32) (local.get 0)
    (then (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1)))))
    (else (i32.const 0))))
