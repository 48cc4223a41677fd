;; HostRequest::Wait without tickets, for 584 million years.
;; with: time_ms=250
;; fails: limit: The step ran longer than its time limit of 250 ms; give it more with `!timeout`, or answer `pending` instead of waiting
(data (i32.const 131072) "\03\00\01\ff\ff\ff\ff\ff\ff\ff\ff\ff\01")
(func $evil (result i32)
  (i32.wrap_i64 (call $host (i32.const 131072) (i32.const 13) (i32.const 196608) (i32.const 65536))))
