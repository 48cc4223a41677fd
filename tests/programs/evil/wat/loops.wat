;; Computes forever.
;; with: time_ms=250
;; fails: limit: The step ran longer than its time limit of 250 ms; give it more with `!timeout`, or answer `pending` instead of waiting
(func $evil (result i32) (loop $again (br $again)) (i32.const 0))
