;; A passive data segment.
;; refused: prepare the guest: image its state: it has passive data segments
(data "later")
(func $evil (result i32) (i32.const 0))
