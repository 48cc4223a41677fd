;; Waits for the longest possible time.
;; with: time_ms=250
;; fails: limit: The step ran longer than its time limit of 250 ms; give it more with `!timeout`, or answer `pending` instead of waiting
(data (i32.const 131072) "\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00\ff\ff\ff\ff\ff\ff\ff\ff\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
(func $evil (result i32) (call $poll_oneoff (i32.const 131072) (i32.const 131200) (i32.const 1) (i32.const 131300)))
