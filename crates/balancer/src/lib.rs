//! Global load balancer.
