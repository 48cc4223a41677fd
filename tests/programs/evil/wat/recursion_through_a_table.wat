;; Calls itself forever, through a table.
;; fails: limit: The step went over its stack limit of 3 MiB: it calls itself too deeply; use a loop
(type $t (func (result i32)))
(table 1 funcref)
(elem (i32.const 0) $evil)
(func $evil (result i32) (i32.add (i32.const 1) (call_indirect (type $t) (i32.const 0))))
