"""When will a series cross its limit?  Numbers in, numbers out: no database, no Django.

The one entry is `fleet.forecast`, which takes many series at once:

    raw readings -> buckets -> outlier mask -> guards -> fit -> futures -> first passage -> Forecast

`fitting.fit_all` is the only place that turns histories into models; everything after it works on
`LatentModel`. Nothing is imported here: who needs a name of a module, as pages do, must not load Prophet for it.
"""
