;; A request with an endless variable-length number.
;; fails: trap: The guest broke its contract with the host: a request cannot be read: …
(data (i32.const 131072) "\01\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff")
(func $evil (result i32)
  (i32.wrap_i64 (call $host (i32.const 131072) (i32.const 33) (i32.const 0) (i32.const 0))))
