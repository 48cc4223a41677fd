;; A request of an unknown kind.
;; fails: trap: The guest broke its contract with the host: a request cannot be read: …
(data (i32.const 131072) "\ff\ff\ff\ff")
(func $evil (result i32)
  (i32.wrap_i64 (call $host (i32.const 131072) (i32.const 4) (i32.const 0) (i32.const 0))))
