//! Reads on replicas, at every level.

use crate::node::Node;
use onefold_database::testing::TestCluster;
use onefold_database::{Read, ServerRole};

#[tokio::test]
async fn a_cluster_is_found_with_its_roles() {
    let cluster = TestCluster::start(2).await;
    let node = Node::of(&cluster).await;
    let roles: Vec<ServerRole> = node.database.servers().iter().map(|server| server.role).collect();
    assert_eq!(roles, [ServerRole::Primary, ServerRole::Replica, ServerRole::Replica]);
    let one: i32 = node.db().read(Read::Any).query_one("select 1", &[]).await.unwrap();
    assert_eq!(one, 1);
}
