;; HostRequest::Wait for an unknown ticket. It returns at once: no such operation is in progress.
;; gives: …
(data (i32.const 131072) "\03\01\ff\ff\ff\ff\ff\ff\ff\ff\ff\01\00")
(func $evil (result i32)
  (i32.wrap_i64 (call $host (i32.const 131072) (i32.const 13) (i32.const 196608) (i32.const 65536))))
