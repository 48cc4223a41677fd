;; Counts its arguments and environment variables.
;; gives: 0
(func $evil (result i32)
  (if (call $args_sizes_get (i32.const 131072) (i32.const 131076)) (then (return (i32.const 1001))))
  (if (call $environ_sizes_get (i32.const 131080) (i32.const 131084)) (then (return (i32.const 1002))))
  (if (call $environ_get (i32.const 131088) (i32.const 131092)) (then (return (i32.const 1003))))
  (i32.add (i32.load (i32.const 131072)) (i32.load (i32.const 131080))))
