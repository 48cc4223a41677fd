;; HostRequest::Wait for 5,000 tickets, more than the list may contain.
;; fails: trap: The guest broke its contract with the host: a request cannot be read: …
(data (i32.const 131072) "\03\88\27")
(func $evil (result i32)
  (i32.wrap_i64 (call $host (i32.const 131072) (i32.const 6000) (i32.const 0) (i32.const 0))))
