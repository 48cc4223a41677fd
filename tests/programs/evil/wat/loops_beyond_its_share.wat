;; Computes for longer than its processor limit.
;; with: cpu_ms=50
;; fails: limit: The step computed longer than its processor limit of 50 ms; split its work into smaller steps
(func $evil (result i32) (loop $again (br $again)) (i32.const 0))
