;; HostRequest::Emit of elements that are not CBOR.
;; fails: trap: The guest broke its contract with the host: …
(data (i32.const 131072) "\01\01\02\9b\ff")
(func $evil (result i32)
  (i32.wrap_i64 (call $host (i32.const 131072) (i32.const 5) (i32.const 0) (i32.const 0))))
