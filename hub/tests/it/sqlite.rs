//! The contract on SQLite in memory.

use crate::world::World;

async fn world() -> World {
    World::sqlite()
}

crate::contract::all_contract_tests!(crate::sqlite::world);
