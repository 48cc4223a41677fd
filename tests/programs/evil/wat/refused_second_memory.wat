;; A second memory.
;; refused: prepare the guest: image its state: it does not have exactly one memory
(memory 1)
(func $evil (result i32) (i32.const 0))
