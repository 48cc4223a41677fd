;; Polls an empty list, which would be forever. 28 is "invalid".
;; gives: 28
(func $evil (result i32) (call $poll_oneoff (i32.const 131072) (i32.const 131200) (i32.const 0) (i32.const 131300)))
