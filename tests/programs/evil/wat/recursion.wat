;; Calls itself forever.
;; fails: limit: The step went over its stack limit of 3 MiB: it calls itself too deeply; use a loop
(func $evil (result i32) (call $deep (i32.const 0)))
(func $deep (param i32) (result i32) (i32.add (i32.const 1) (call $deep (local.get 0))))
