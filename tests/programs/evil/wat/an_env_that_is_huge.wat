;; Answer::Completed whose environment, which travels with every job that gets it, has 66,005 bytes.
;; replace: (i64.const 0x200000000b)) -> (if (result i64) (i32.eq (i32.load8_u offset=1 (local.get $request)) (i32.const 105)) (then (i64.const 0x200000000b)) (else (i64.const 0x20000000101df))))
;; fails: trap: The guest answered with an `env` of 66005 bytes, and at most 65536 can pass to the steps after it
;; null, not streamed, no priority, and an environment: 66,000 bytes that are zero
(data (i32.const 131072) "\00\01\f6\00\00\01\d5\83\04\5a\00\01\01\d0")
(func $evil (result i32) (i32.const 0))
