# What the nodes' token may do: register the service, list it, and read the
# addresses of the machines that it runs on.
service "mycorrizal" {
  policy = "write"
}
node_prefix "" {
  policy = "read"
}
