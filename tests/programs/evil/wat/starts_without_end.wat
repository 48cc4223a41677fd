;; HostRequest::Start of Operation::Secret, again and again, without waiting.
;; fails: limit: The step started more than 2048 network operations without waiting for any; wait for some of them before the next, or run it on a worker with a higher limit `net_exchanges`
(data (i32.const 131072) "\02\05\01x")
(func $evil (result i32)
  (loop $again
    (drop (call $host (i32.const 131072) (i32.const 4) (i32.const 196608) (i32.const 65536)))
    (br $again))
  (i32.const 0))
