;; HostRequest::Take, to an address outside its memory.
;; fails: trap: The guest broke its contract with the host: a buffer for a reply is outside its memory
(data (i32.const 131072) "\00")
(func $evil (result i32)
  (i32.wrap_i64 (call $host (i32.const 131072) (i32.const 1) (i32.const -1) (i32.const -1))))
