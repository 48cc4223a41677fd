//! The contract on SQLite in memory.

use crate::world::World;

async fn world() -> World {
    World::sqlite()
}

crate::contract::keeps_every_claim!(crate::sqlite::world);
