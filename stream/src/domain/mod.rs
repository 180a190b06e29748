//! What the fields know: indices, queues, routes, zones. Pure operators, each from its source.
