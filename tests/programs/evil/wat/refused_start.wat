;; A start function.
;; refused: prepare the guest: image its state: it has a start function
(func $begin)
(start $begin)
(func $evil (result i32) (i32.const 0))
