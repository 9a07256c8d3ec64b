"""Counts of a yes-or-no decision, and a moving average, both as values that can be merged or carried on."""

import dataclasses

from spago_jax.train.metrics.protocol import ratio


@dataclasses.dataclass(frozen=True)
class BinaryCounts:
    """True and false positives and negatives, and the scores made of them; a score without cases is 0.

    Source: spaGO's ``stats.ClassMetrics``, which gives NaN there.

    >>> counts = BinaryCounts(5, 7, 2, 3)
    >>> round(counts.precision, 4), counts.recall, round(counts.f1, 4)
    (0.7143, 0.625, 0.6667)
    >>> (counts + BinaryCounts(1, 0, 0, 0)).true_positives
    6
    """

    true_positives: int = 0
    true_negatives: int = 0
    false_positives: int = 0
    false_negatives: int = 0

    def __add__(self, other: "BinaryCounts") -> "BinaryCounts":
        return BinaryCounts(*map(sum, zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)))

    @property
    def precision(self) -> float:
        """``TP / (TP + FP)``."""
        return ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """``TP / (TP + FN)``."""
        return ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """``2 P R / (P + R)``."""
        double = 2 * self.true_positives
        return ratio(double, double + self.false_positives + self.false_negatives)

    @property
    def specificity(self) -> float:
        """``TN / (TN + FP)``."""
        return ratio(self.true_negatives, self.true_negatives + self.false_positives)

    @property
    def accuracy(self) -> float:
        """``(TP + TN) / all``."""
        return ratio(self.true_positives + self.true_negatives, sum(dataclasses.astuple(self)))


@dataclasses.dataclass(frozen=True)
class MovingAverage:
    """The running mean and variance of numbers as they come.

        mean += r (x - mean);  variance += r ((x - mean)^2 - variance),  r = factor / count

    With factor 1 the mean is that of all numbers; spaGO's ``stats.MovingAvg`` has 2, which weighs later ones more.

    >>> average = MovingAverage().add(1.0).add(3.0)
    >>> average.mean
    2.0
    """

    mean: float = 0.0
    variance: float = 0.0
    count: int = 0
    factor: float = 1.0

    def add(self, value: float) -> "MovingAverage":
        """With one more number."""
        count = self.count + 1
        rate = self.factor / count
        mean = self.mean + rate * (value - self.mean)
        variance = self.variance + rate * ((value - mean) ** 2 - self.variance)
        return dataclasses.replace(self, mean=mean, variance=variance, count=count)
