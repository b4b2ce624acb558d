"""The jobs that make the batches of every epoch."""

from keras_oocore.batches.job import BatchJob
from keras_oocore.batches.plan import BatchPlan


class BatchMaker(BatchPlan):
    """Makes jobs, which make the batches of every epoch. Arguments are those of `BatchPlan`."""

    def job(self, number: int) -> BatchJob:
        """Return job `number`. Numbers continue from epoch to epoch."""
        epoch, job = divmod(number, self.num_jobs)
        position = job * self.batches_per_job
        return BatchJob(self, epoch, position, min(self.batches_per_job, self.num_batches - position))

    def single(self, epoch: int, position: int) -> BatchJob:
        """Return a job of one batch that does not count as served."""
        return BatchJob(self, epoch, position, 1, is_peek=True)
