;; Yields forever.
;; with: time_ms=250
;; fails: limit: The step ran longer than its time limit of 250 ms; give it more with `!timeout`, or answer `pending` instead of waiting
(func $evil (result i32) (loop $again (br_if $again (i32.eqz (call $sched_yield)))) (i32.const 0))
