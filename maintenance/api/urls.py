from django.urls import path

from maintenance.api.views import CompleteTask, StartTask, TaskDetail, TaskList

urlpatterns = [
    path("tasks", TaskList.as_view(), name="api-tasks"),
    path("tasks/<int:pk>", TaskDetail.as_view(), name="api-task"),
    path("tasks/<int:pk>/start", StartTask.as_view(), name="api-task-start"),
    path("tasks/<int:pk>/complete", CompleteTask.as_view(), name="api-task-complete"),
]
