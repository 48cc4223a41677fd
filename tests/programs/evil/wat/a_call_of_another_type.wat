;; Calls a function with the wrong type.
;; fails: trap: …
(type $t (func (param i64 i64) (result i32)))
(table 1 funcref)
(elem (i32.const 0) $evil)
(func $evil (result i32) (call_indirect (type $t) (i64.const 1) (i64.const 2) (i32.const 0)))
