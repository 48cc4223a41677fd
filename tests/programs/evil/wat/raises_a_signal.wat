;; Sends itself a signal. 58 is "not supported".
;; gives: 58
(func $evil (result i32) (call $proc_raise (i32.const 9)))
