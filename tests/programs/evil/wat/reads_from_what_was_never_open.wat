;; HostRequest::Start of Operation::Read, of four gigabytes, from an exchange that was never started. It receives a ticket, and later an error.
;; gives: …
(data (i32.const 131072) "\02\02\ff\ff\ff\ff\ff\ff\ff\ff\ff\01\ff\ff\ff\ff\0f\00")
(func $evil (result i32)
  (i32.wrap_i64 (call $host (i32.const 131072) (i32.const 18) (i32.const 196608) (i32.const 65536))))
