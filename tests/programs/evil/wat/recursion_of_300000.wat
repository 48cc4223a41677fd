;; Calls itself 300,000 times. A call takes at least sixteen bytes of stack, so this exceeds 3 MiB.
;; fails: limit: The step went over its stack limit of 3 MiB: it calls itself too deeply; use a loop
(func $evil (result i32) (call $deep (i32.const 300000)))
(func $deep (param i32) (result i32)
  (if (result i32) (local.get 0)
    (then (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1)))))
    (else (i32.const 0))))
