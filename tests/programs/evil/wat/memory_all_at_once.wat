;; Allocates four gigabytes at once, and traps when this fails.
;; fails: limit: The step went over its memory limit of 256 MiB; give rows piece by piece (`yield`), or run it on a worker with a higher limit
(func $evil (result i32)
  (if (i32.lt_s (memory.grow (i32.const 65000)) (i32.const 0)) (then unreachable))
  (i32.const 0))
