# SPDX-License-Identifier: Apache-2.0
"""What the flow tests stand on: topics, databases, generated hits, the oracle of sessions, our programs, nginx, Chromium.

The servers themselves come from deploy/lib/servers.py, which the quick start uses too."""
