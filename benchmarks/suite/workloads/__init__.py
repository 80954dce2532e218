"""The workloads: one program each, with the items it is run on."""
