"""The main job on embedded servers: back up real data, prove it, damage it, be told."""
