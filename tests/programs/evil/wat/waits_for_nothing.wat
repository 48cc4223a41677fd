;; Waits for no thing at all, which would be for ever. 28 is "not valid".
;; gives: 28
(func $evil (result i32) (call $poll_oneoff (i32.const 131072) (i32.const 131200) (i32.const 0) (i32.const 131300)))
