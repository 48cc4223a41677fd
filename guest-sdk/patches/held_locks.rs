/// The locks that are held and whose own state does not say so. There is one thread.
mod held {
    use core::cell::Cell;
    use core::ptr::null;

    /// More locks are rarely held at once: those of one native function and of its callers.
    const MAX: usize = 64;

    struct Table {
        count: Cell<usize>,
        locks: [Cell<*const ()>; MAX],
    }

    std::thread_local! {
        static TABLE: Table = const { Table { count: Cell::new(0), locks: [const { Cell::new(null()) }; MAX] } };
    }

    /// Returns false if the table is full.
    #[inline]
    pub(super) fn add<T>(lock: &T) -> bool {
        TABLE.with(|table| {
            let count = table.count.get();
            let Some(free) = table.locks.get(count) else { return false };
            free.set(core::ptr::from_ref(lock).cast());
            table.count.set(count + 1);
            true
        })
    }

    /// Returns false if the lock is not in the table.
    #[inline]
    pub(super) fn remove<T>(lock: &T) -> bool {
        let lock = core::ptr::from_ref(lock).cast();
        TABLE.with(|table| {
            let Some(last) = table.count.get().checked_sub(1) else { return false };
            // usually the one that was taken last
            let Some(index) = (0..=last).rev().find(|index| table.locks[*index].get() == lock) else { return false };
            table.locks[index].set(table.locks[last].get());
            table.count.set(last);
            true
        })
    }

    #[inline]
    pub(super) fn contains<T>(lock: &T) -> bool {
        let lock = core::ptr::from_ref(lock).cast();
        TABLE.with(|table| table.locks.iter().take(table.count.get()).any(|held| held.get() == lock))
    }
}

impl RawCellMutex {
    #[inline]
    fn hold(&self) {
        match held::add(self) {
            true => {}
            false => self.locked.set(true),
        }
    }
}

