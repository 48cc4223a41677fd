;; HostRequest::Emit of one element, with a count of four billion.
;; fails: trap: The guest broke its contract with the host: …
(data (i32.const 131072) "\01\ff\ff\ff\ff\0f\02\81\00")
(func $evil (result i32)
  (i32.wrap_i64 (call $host (i32.const 131072) (i32.const 9) (i32.const 0) (i32.const 0))))
