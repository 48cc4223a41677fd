;; Allocates 200 MiB and writes to all of it: this succeeds, and the memory is released afterwards.
;; gives: 1
(func $evil (result i32)
  (if (i32.lt_s (memory.grow (i32.const 3200)) (i32.const 0)) (then (return (i32.const 0))))
  (memory.fill (i32.const 262144) (i32.const 1) (i32.const 209715200))
  (i32.const 1))
