;; A request that starts outside its memory.
;; fails: trap: The guest broke its contract with the host: a request is outside its memory
(func $evil (result i32)
  (i32.wrap_i64 (call $host (i32.const -16) (i32.const 16) (i32.const 0) (i32.const 0))))
