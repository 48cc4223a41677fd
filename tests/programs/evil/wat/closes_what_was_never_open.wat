;; HostRequest::Close of the exchange with the largest number.
;; gives: 0
(data (i32.const 131072) "\04\ff\ff\ff\ff\ff\ff\ff\ff\ff\01")
(func $evil (result i32)
  (i32.wrap_i64 (call $host (i32.const 131072) (i32.const 11) (i32.const 0) (i32.const 0))))
