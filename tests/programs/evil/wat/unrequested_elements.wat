;; HostRequest::Emit of no elements, in a step without a loop over its result.
;; fails: trap: The guest broke its contract with the host: it streams a result that was not to be streamed
(data (i32.const 131072) "\01\00\01\80\00")
(func $evil (result i32)
  (i32.wrap_i64 (call $host (i32.const 131072) (i32.const 5) (i32.const 0) (i32.const 0))))
