;; Requests as many random bytes as one call returns.
;; gives: 0
(func $evil (result i32) (call $random_get (i32.const 131072) (i32.const 65536)))
