"""An executor whose workers are killed, repeat tasks, and run them late and in any order, without processes."""

import pickle
import random
import threading
from concurrent.futures import BrokenExecutor, Executor, Future
from queue import Empty, SimpleQueue


class HostileExecutor(Executor):
    """Runs pickled calls in one thread, and treats each call in a way that it draws.

    Args:
        seed: Seed of what it draws.
        ways: Each way is as likely as the others. `"run"` runs the call; `"kill"` loses it before it began, and
            `"kill after"` when all is done except for the result; `"repeat"` runs it twice; `"late"` runs it again when
            the executor is shut down.

    Attributes:
        sizes: Size of every pickled call, in bytes.
        num_lost: Number of calls that were lost.
    """

    def __init__(self, seed=0, ways=("run", "kill", "kill after", "repeat", "late")):
        self.random, self.ways = random.Random(seed), ways
        self.sizes, self.num_lost = [], 0
        self.calls, self.late = SimpleQueue(), []
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def submit(self, function, /, *arguments):
        future, pickled = Future(), pickle.dumps((function, arguments))
        self.sizes.append(len(pickled))
        self.calls.put((future, pickled))
        return future

    def shutdown(self, wait=True, *, cancel_futures=False):
        self.calls.put(None)
        self.thread.join()
        for pickled in self.late:
            call(pickled)

    def work(self):
        waiting = []
        while True:
            if not waiting:
                waiting.append(self.calls.get())
            try:
                while True:
                    waiting.append(self.calls.get_nowait())
            except Empty:
                pass
            if None in waiting:
                return
            future, pickled = waiting.pop(self.random.randrange(len(waiting)))
            if future.set_running_or_notify_cancel():
                self.run(future, pickled, self.random.choice(self.ways))

    def run(self, future, pickled, way):
        if way != "kill":
            try:
                result = call(pickled)
            except BaseException as error:
                future.set_exception(error)
                return
        if way == "repeat":
            result = call(pickled)
        if way == "late":
            self.late.append(pickled)
        if way.startswith("kill"):
            self.num_lost += 1
            future.set_exception(BrokenExecutor("A worker was killed."))
        else:
            future.set_result(result)


def call(pickled):
    function, arguments = pickle.loads(pickled)
    return pickle.loads(pickle.dumps(function(*arguments)))
