;; Calls an empty entry of a table.
;; fails: trap: …
(type $t (func (result i32)))
(table 4 funcref)
(func $evil (result i32) (call_indirect (type $t) (i32.const 3)))
