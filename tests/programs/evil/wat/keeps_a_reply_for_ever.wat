;; Never takes the reply of a wait and sends other requests, again and again: the host keeps only the last reply.
;; gives: 0
(data (i32.const 131072) "\03\01\ff\ff\ff\ff\ff\ff\ff\ff\ff\01\00")
(func $evil (result i32)
  (local $count i32)
  (loop $again
    (drop (call $host (i32.const 131072) (i32.const 13) (i32.const 0) (i32.const 0)))
    (local.set $count (i32.add (local.get $count) (i32.const 1)))
    (br_if $again (i32.lt_u (local.get $count) (i32.const 100000))))
  (i32.const 0))
