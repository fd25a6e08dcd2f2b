# -*- test-case-name: tests.test_tap -*-
from twisted.application.service import ServiceMaker

mycorrizal = ServiceMaker(
    "Mycorrizal", "mycorrizal.tap", "Run a Mycorrizal cluster node.", "mycorrizal"
)
