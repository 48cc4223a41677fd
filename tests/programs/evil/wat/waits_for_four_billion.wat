;; Polls a list of four billion entries. 48 is "no memory".
;; gives: 48
(func $evil (result i32) (call $poll_oneoff (i32.const 0) (i32.const 0) (i32.const -1) (i32.const 0)))
