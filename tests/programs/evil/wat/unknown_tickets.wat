;; HostRequest::Wait for a ticket that was never given. The answer, at once, is that no such operation exists.
;; gives: …
(data (i32.const 131072) "\03\01\ff\ff\ff\ff\ff\ff\ff\ff\ff\01\00")
(func $evil (result i32)
  (i32.wrap_i64 (call $host (i32.const 131072) (i32.const 13) (i32.const 196608) (i32.const 65536))))
