"""The pages of people at work."""

from django.urls import path

from maintenance.views import completing, home, jobs, machines

urlpatterns = [
    path("", home.home, name="home"),
    path("home/numbers/", home.home_numbers, name="home-numbers"),
    path("jobs/", jobs.my_jobs, name="my-jobs"),
    path("jobs/<int:pk>/", jobs.job, name="job"),
    path("jobs/<int:pk>/start/", jobs.start_job, name="job-start"),
    path("jobs/<int:pk>/hold/", jobs.hold_job, name="job-hold"),
    path("jobs/<int:pk>/complete/", completing.complete_job, name="job-complete"),
    path("jobs/<int:pk>/correct/", completing.correct_job, name="job-correct"),
    path("machines/", machines.machine_list, name="machine-list"),
    path("machines/<int:pk>/", machines.machine, name="machine"),
]
