;; HostRequest::Emit of 1,001 zeros. Each round of the loop skips the elements before its own, in the worker.
;; loop: for x in evil()
;; fails: trap: The guest broke its contract with the host: it streams 1001 elements at once, and 1000 are allowed
(data (i32.const 131072) "\01\e9\07\ec\07\99\03\e9")
(func $evil (result i32)
  (i32.wrap_i64 (call $host (i32.const 131072) (i32.const 1010) (i32.const 0) (i32.const 0))))
